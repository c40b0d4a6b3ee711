"""What a torch function that a network calls computes, whichever way the call is spelled."""
