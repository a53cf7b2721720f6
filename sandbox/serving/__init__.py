"""Sockets: requests are read, answers are sent, whole or spoilt. Decides nothing."""
