"""Load balancers, through Scaleway's zoned Load Balancer API v1."""

from activities.lb.backends import LbBackendLifecycle
from activities.lb.balancers import LbIpLifecycle, LbLifecycle, LbPrivateNetworkLifecycle
from activities.lb.certificates import LbCertificateLifecycle
from activities.lb.frontends import LbAclLifecycle, LbFrontendLifecycle

LIFECYCLES = (
    LbIpLifecycle,
    LbLifecycle,
    LbPrivateNetworkLifecycle,
    LbBackendLifecycle,
    LbCertificateLifecycle,
    LbFrontendLifecycle,
    LbAclLifecycle,
)
