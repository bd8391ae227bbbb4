"""What a model's tokens cost: what the configuration says, else the provider's list price where one is known.

List prices are those of genai-prices, which comes with the extra `llm`; without it, none is known.
"""

from __future__ import annotations

from starrec.llm.config import ModelConfig

_MILLION = 1_000_000


def price(config: ModelConfig) -> tuple[float, float] | None:
    """US dollars a token of prompt and of answer; None where nobody knows. The embedded policy is free."""
    if config.embedded:
        return 0.0, 0.0
    if config.price is not None or config.base_url:
        return config.price
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    provider, _, name = config.model.partition(":")
    try:
        prompt, answer = (
            calc_price(usage, name, provider_id=provider.partition("-")[0])
            for usage in (Usage(input_tokens=_MILLION), Usage(output_tokens=_MILLION))
        )
    except LookupError:
        return None
    return float(prompt.total_price) / _MILLION, float(answer.total_price) / _MILLION
