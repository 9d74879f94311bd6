"""Corpora on disk, prepared datasets and training samples."""
