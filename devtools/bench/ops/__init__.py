"""Whether the operations console lives with a full Redis, and intake with the console.

orders   what the orders of such a Redis are: which account, when, which references (pure)
filling  writing them, many at a time
visits   what a reader asks for: pages, searches, calls of the API
reader   whoever asks, signed in, and how long each answer took
trial    a whole installation, pushes that come in, and the reader
report   the table and the goals
"""
