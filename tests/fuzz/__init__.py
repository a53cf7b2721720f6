"""Properties of a whole surface, whatever comes in by it.

`make test` looks for a counter-example with hypothesis, `make fuzz` with libFuzzer, which is guided
by the branches that the program takes. Both run the same properties.
"""
