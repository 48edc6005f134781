"""Rare-earth supply network: where the material flows, and what a halt does to it."""

__version__ = "0.1.0"
