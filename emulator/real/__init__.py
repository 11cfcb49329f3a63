"""The real things behind the API: machines, balancers, databases and caches, and the bastion, on loopback addresses.

What the documents of the world say is what runs. Each follower compares the two after every change and every now and
then, and makes what runs match; nothing else starts or ends a process. So a restart, a killed process and a change of
configuration are one and the same case.

Only an object whose addresses are in 127.0.0.0/8 becomes real: the network of the environment file decides. A database
instance made from a snapshot has a public one only, which is on loopback as well.
"""
