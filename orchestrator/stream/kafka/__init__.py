"""The Kafka runtime: the same processor as a pair of Faust apps (``design.md``, Streaming).

`intake` takes the public topics into the journal, `decide` decides on the journal.  `rounds_in`
and `fenced_out` are the plug-ins that give Faust its shape: whole poll rounds in, one transaction
per journal partition and round out.  Nothing of Faust is patched.
"""
