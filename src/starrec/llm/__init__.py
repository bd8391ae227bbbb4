"""Floor 0: language models, as one setting names them and any part of starrec may ask them.

`connection.connect` needs the extra `llm`; the setting does not, so that every configuration can be read.
"""

from starrec.llm.config import EMBEDDED, LimitsConfig, ModelConfig, Output

__all__ = ["EMBEDDED", "LimitsConfig", "ModelConfig", "Output"]
