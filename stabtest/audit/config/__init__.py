"""What is asked for: ``stabtest.toml``, from its keys to one checked object.

`model` joins the tables (`settings`, one file each) and checks what concerns several of them; `file` reads, `listing` writes folders out as files,
`mistakes` says in words what is wrong. `profiles` are criteria that ship, `template` is the file that ``stabtest init`` writes. Nothing here needs
PyTorch.
"""

from stabtest.audit.config.model import Config

__all__ = ["Config"]
