"""What a call on Klarna's side can be struck with, and which fault strikes."""
