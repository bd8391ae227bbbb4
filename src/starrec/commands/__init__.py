"""Commands that are a family of their own, and what all commands share."""
