"""Where a film comes from: written into it when it is made, and read from any film later."""
