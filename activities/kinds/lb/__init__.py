"""Load balancers, through Scaleway's zoned Load Balancer API v1."""

from activities.kinds.lb.backends import LbBackendLifecycle
from activities.kinds.lb.balancers import LbIpLifecycle, LbLifecycle, LbPrivateNetworkLifecycle
from activities.kinds.lb.certificates import LbCertificateLifecycle
from activities.kinds.lb.frontends import LbAclLifecycle, LbFrontendLifecycle

LIFECYCLES = (
    LbIpLifecycle,
    LbLifecycle,
    LbPrivateNetworkLifecycle,
    LbBackendLifecycle,
    LbCertificateLifecycle,
    LbFrontendLifecycle,
    LbAclLifecycle,
)
