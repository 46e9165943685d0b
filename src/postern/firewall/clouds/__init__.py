"""Rules for clouds: security groups of AWS and Azure, GCP firewall rules, Kubernetes network policies."""
