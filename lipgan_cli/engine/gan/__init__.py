"""The generative adversarial network: two networks, one training core, pluggable losses."""
