"""Make a filmed person speak a new audio track; train and compare lip-sync GANs."""

__version__ = "0.1.0"
