"""The code systems, identifiers and media types under which things appear at ``/fhir``."""

from typing import Final

TASK: Final = "Task"
PATIENT: Final = "Patient"
FLAG: Final = "Flag"
ISSUE: Final = "DetectedIssue"
CARE_PLAN: Final = "CarePlan"
AUDIT: Final = "AuditEvent"

# Codes of ours
TASK_KIND: Final = "urn:care:task-kind"
TEAM: Final = "urn:care:team"
ROLE: Final = "urn:care:role"
BUSINESS: Final = "urn:care:business-status"
GAP_CODE: Final = "urn:care:gap-code"
SEVERITY: Final = "urn:care:severity"
CLOSE_REASON: Final = "urn:care:close-reason"
DEED: Final = "urn:care:audit-action"
# Identifiers of ours
TASK_ID: Final = "urn:care:task"
GAP_ID: Final = "urn:care:gap"
TRANSITION: Final = "urn:care:transition"
ACTOR: Final = "urn:care:actor"
FACILITY: Final = "urn:care:facility"
CLIENT: Final = "urn:care:client"
AUTHORITY: Final = "urn:care:authority:"  # then the authority of a patient's identifier

# Systems of HL7
TASK_STATUS: Final = "http://hl7.org/fhir/task-status"
PRIORITY: Final = "http://hl7.org/fhir/request-priority"
FLAG_STATUS: Final = "http://hl7.org/fhir/flag-status"
ISSUE_STATUS: Final = "http://hl7.org/fhir/observation-status"
PLAN_STATUS: Final = "http://hl7.org/fhir/request-status"
FLAG_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/flag-category"
EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
EVENT_ACTION: Final = "http://hl7.org/fhir/audit-event-action"
EVENT_OUTCOME: Final = "http://hl7.org/fhir/audit-event-outcome"
OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SECURITY_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
