"""The work: units, each one test of one method on one case, addressed by all that its result depends on.

`plan` lists them, `laboratory` measures one, `engine` runs many (in turn, in processes, or by `cluster`), and `store` keeps each result in a file,
so that an audit that was ended goes on where it was. `multipliers` keeps what a long bound has reached.
"""
