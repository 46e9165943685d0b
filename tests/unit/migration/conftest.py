from unit.cli.conftest import english, postern

__all__ = ["english", "postern"]
