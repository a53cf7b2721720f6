"""What a reader asks. Changes nothing."""
