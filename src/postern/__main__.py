"""python -m postern."""

from postern.cli.main import main

main()
