"""What a fit is judged by."""
