"""Instances, through Scaleway's Instance API v1 (v2alpha1 refuses to delete attached NICs; terraform issue 4338)."""

from activities.kinds.instance.first_boot import ServerPowerLifecycle, UserDataLifecycle
from activities.kinds.instance.private_nics import PrivateNicLifecycle
from activities.kinds.instance.security_groups import SecurityGroupLifecycle, SecurityGroupRulesLifecycle
from activities.kinds.instance.servers import ServerLifecycle
from activities.kinds.instance.volumes import VolumeLifecycle

LIFECYCLES = (
    SecurityGroupLifecycle,
    SecurityGroupRulesLifecycle,
    ServerLifecycle,
    VolumeLifecycle,
    PrivateNicLifecycle,
    UserDataLifecycle,
    ServerPowerLifecycle,
)
