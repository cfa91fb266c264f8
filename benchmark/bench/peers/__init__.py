"""Other libraries' SASRec beside ours. Each runs in an environment of its own, driven by a script of ours that speaks
JSON lines (`channel`); `launch` starts it and talks to it, `quality` asks how long each needs to be equally good.
"""
