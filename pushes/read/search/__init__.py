"""Finding orders: what is asked for, by which text, and from which indexes page by page."""
