"""The vocabulary: frozen values, ids, refusal reasons and ports."""
