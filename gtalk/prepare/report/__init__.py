"""What a person should know of a clip before the fit."""
