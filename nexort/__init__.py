"""NEXORT: the NE⊗OR⊤ language of Tensor Programs IVb (arXiv 2308.01814), at width n and in the limit."""
