"""What clients ask to be set up, and the answers: POX (MS-OXDSCLI), SOAP (MS-OXWSADISC), JSON, autoconfig, profiles."""
