"""A model of Klarna on the virtual clock: what it answers, how it fails, what it has seen of us."""
