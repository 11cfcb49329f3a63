"""The permission sets that rules are made of (Scaleway IAM, permission sets)."""

from __future__ import annotations

from emulator.paging import page
from emulator.products.iam.api import IAM
from emulator.routing import Answer, Call

ORGANIZATION = [
    "ProjectManager",
    "ProjectReadOnly",
    "IAMReadOnly",
    "IAMManager",
    "IAMApplicationManager",
    "IAMApplicationReadOnly",
    "IAMUserManager",
    "IAMUserReadOnly",
    "IAMGroupManager",
    "IAMGroupReadOnly",
    "IAMPolicyManager",
    "IAMPolicyReadOnly",
    "BillingReadOnly",
    "BillingManager",
    "OrganizationManager",
    "OrganizationReadOnly",
    "SupportTicketManager",
    "SupportTicketReadOnly",
    "AbuseTicketManager",
    "AuditTrailReadOnly",
    "AuditTrailExportRead",
    "AuditTrailExportDelete",
    "AuditTrailFullAccess",
    "EnvironmentalImpactReadOnly",
    "NotificationManagerFullAccess",
    "NotificationManagerReadOnly",
]

FULL_OR_READ = [
    "AllProducts",
    "Instances",
    "SSHKeys",
    "ElasticMetal",
    "AppleSilicon",
    "Dedibox",
    "ObjectStorage",
    "BlockStorage",
    "FileStorage",
    "ContainerRegistry",
    "PrivateNetworks",
    "VPC",
    "IPAM",
    "VPCGateway",
    "Interlink",
    "InterlinkPartner",
    "SiteToSiteVPN",
    "LoadBalancers",
    "EdgeServices",
    "Kubernetes",
    "Functions",
    "Containers",
    "ServerlessJobs",
    "RelationalDatabases",
    "ServerlessSQLDatabase",
    "Redis",
    "MongoDB",
    "SearchDB",
    "Inference",
    "DistributedDataLab",
    "DataWarehouse",
    "KafkaCluster",
    "MessagingAndQueuing",
    "IoT",
    "DomainsDNS",
    "WebHosting",
    "TransactionalEmail",
    "TransactionalEmailBlocklist",
    "TransactionalEmailDomain",
    "TransactionalEmailEmail",
    "TransactionalEmailWebhook",
    "TransactionalEmailProjectSettings",
    "TransactionalEmailOfferSubscription",
    "Mailbox",
    "Observability",
    "SecretManager",
    "KeyManager",
    "QaaS",
]
"""Products with both a ...FullAccess and a ...ReadOnly set."""

PARTIAL = [
    "InstancesServerStart",
    "InstancesServerStop",
    "DediboxConsoleFullAccess",
    "ObjectStorageObjectsRead",
    "ObjectStorageBucketsRead",
    "ObjectStorageObjectsWrite",
    "ObjectStorageObjectsDelete",
    "ObjectStorageBucketsWrite",
    "ObjectStorageBucketsDelete",
    "ObjectStorageBucketPolicyFullAccess",
    "KubernetesExternalNodeRegister",
    "KubernetesSystemMastersGroupAccess",
    "FunctionsPrivateAccess",
    "ContainersPrivateAccess",
    "ServerlessSQLDatabaseReadWrite",
    "ServerlessSQLDatabaseDataReadWrite",
    "GenerativeApisModelAccess",
    "GenerativeApisFullAccess",
    "TransactionalEmailEmailSmtpCreate",
    "TransactionalEmailEmailApiCreate",
    "TransactionalEmailPoolReadOnly",
    "SecretManagerSecretAccess",
    "SecretManagerSecretCreate",
    "SecretManagerSecretDelete",
    "SecretManagerSecretWrite",
    "SecretManagerSecretRestore",
    "KeyManagerKeyWrite",
    "KeyManagerKeyDecrypt",
    "KeyManagerKeyEncrypt",
    "KeyManagerKeySign",
    "KeyManagerKeyVerify",
    "KeyManagerKeyDelete",
    "KeyManagerKeyCreate",
    "KeyManagerKeyRestore",
]

SCOPES: dict[str, str] = {
    **dict.fromkeys(ORGANIZATION, "organization"),
    **dict.fromkeys(
        sorted([f"{name}{kind}" for name in FULL_OR_READ for kind in ("FullAccess", "ReadOnly")] + PARTIAL), "projects"
    ),
}
"""Every permission set with the scope it is for."""


@IAM.get("/permission-sets")
def list_permission_sets(call: Call) -> Answer:
    """All permission sets, by name."""
    documents = [
        {
            "id": f"55555555-5555-4555-8555-{number:012d}",
            "name": name,
            "scope_type": scope,
            "description": "",
            "categories": [],
        }
        for number, (name, scope) in enumerate(sorted(SCOPES.items()), start=1)
    ]
    return page(call, documents, "permission_sets")
