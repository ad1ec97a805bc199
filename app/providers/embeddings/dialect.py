"""How the services that make embeddings differ: the facts that rows of the catalog are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.core.embeddings import BatchLimits


@dataclass(frozen=True, slots=True)
class EmbeddingDialect:
    limits: BatchLimits
    format: Literal["openai", "google"] = "openai"
    """Nearly all speak OpenAI's. The rest is for them."""
    encoding: Literal["float", "base64"] = "float"
    """What is asked for. base64 is a quarter of the size; not every server knows it. Both are read."""
    dimensions_field: str = "dimensions"
    takes_input_type: bool = False
    takes_user: bool = False


OPENAI_EMBEDDINGS = EmbeddingDialect(BatchLimits(tokens=300_000), encoding="base64", takes_user=True)
COMPATIBLE_EMBEDDINGS = EmbeddingDialect(BatchLimits())
GOOGLE_EMBEDDINGS = EmbeddingDialect(BatchLimits(), format="google")
MISTRAL_EMBEDDINGS = EmbeddingDialect(BatchLimits(tokens=16_000), dimensions_field="output_dimension")
VOYAGE_EMBEDDINGS = EmbeddingDialect(
    BatchLimits(tokens=120_000),  # the smallest limit among its models
    encoding="base64",
    dimensions_field="output_dimension",
    takes_input_type=True,
)
