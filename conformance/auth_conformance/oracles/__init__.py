"""Judgement without input or output: exchanges and texts in, outcomes and violations out."""
