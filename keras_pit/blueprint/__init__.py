"""What a microcontroller would run of a model, before any file is made."""

from .blueprint import Blueprint

__all__ = ["Blueprint"]
