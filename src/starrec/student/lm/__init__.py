"""A pretrained language model as the student's base."""
