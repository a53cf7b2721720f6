"""What keeps records, indexes and RQ agreed when somebody else wrote, or half a write was lost."""
