"""What only data of 1.4.0 needs: its pickles, and its ids of groups."""
