"""A pretrained language model as the student's base."""

import warnings

# peft and trl ask transformers for options by their former names, which no user can help.
warnings.filterwarnings("ignore", message=".*(gradient_checkpointing).* is deprecated", category=FutureWarning)
