"""Make a release: `python -m release`. `release.audit` looks for known vulnerabilities of the dependencies.

Both run tools of `requirements.txt` in this folder, which are installed apart from the service (`make release`).
"""
