"""What a sound says beside its words: from where it comes, who speaks when, whether it is sung."""
