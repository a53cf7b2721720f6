"""How things were lately: the last hour, day and week; and the quota of the last minute."""
