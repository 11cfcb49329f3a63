"""Instances as real Debian machines: systemd-nspawn on an overlay of one shared root file system."""
