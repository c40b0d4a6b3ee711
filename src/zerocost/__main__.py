"""`python -m zerocost`."""

from zerocost.cli import main

main()
