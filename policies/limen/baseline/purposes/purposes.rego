# METADATA
# title: The purpose catalogue as rules
# description: >-
#   What may be done under each of the thirty purposes: operation, role, data categories, match keys, statistics, the
#   safeguards of the row and the guards of the person. Default deny; what a row does not list is denied, and so is a fact
#   that is missing. What depends on the request is spoken. What depends on the person or the record is withheld: the
#   answer is then that of a miss, or for verify, disclose and notify one refusal without a code.
# scope: package
package limen.baseline.purposes

import data.limen.baseline.catalogue
import data.limen.baseline.safeguards

# METADATA
# title: The catalogue's answer
# description: Yes or no, how many must approve, and the face that a no has towards the asker.
# entrypoint: true
decision := {
	"schema": "limen.purpose-decision/1",
	"allow": allow,
	"needs": needs,
	"face": face,
}

default needs := "deny"

needs := row.operations[input.operation]

default allow := false

# Positive throughout: a fact that is missing makes its condition undefined, and undefined is no.
allow if {
	well_formed
	operation_permitted
	role_listed
	categories_listed
	keys_listed
	statistic_listed
	basis_stands
	approved
	every safeguard in row_safeguards {
		held(safeguard)
	}
	guarded
}

guarded if input.operation == "aggregate"

guarded if {
	input.operation in person_level
	destination_registered
	purpose_bound
	away_from_origin
	screened
	provenance_permits
	originator_permits
	of_age
	outside_firewall
	record_stands
}

person_level := {"status", "hit", "disclose", "verify", "notify"}

default face := "spoken"

face := "answer" if allow

face := "miss" if {
	not allow
	count(reasons) == 0
	input.operation in {"status", "hit", "aggregate"}
}

face := "refused" if {
	not allow
	count(reasons) == 0
	input.operation in {"disclose", "verify", "notify"}
}

# By the request

row := found if {
	found := object.get(catalogue.purposes, [input.purpose], null)
	found != null
}

well_formed if {
	input.schema == "limen.purpose/1"
	is_string(input.purpose)
	is_string(input.operation)
	is_string(input.role)
	is_string(input.legal_basis)
	is_string(input.statistic)
	is_array(input.categories)
	is_array(input.match_keys)
	is_number(input.approvals)
	is_number(input.time_ns)
	input.time_ns > 0
	is_object(input.facts)
	every name in object.keys(input.facts) {
		safeguards.facts[name]
	}
}

operation_permitted if row.operations[input.operation] in {"allow", "approval", "four_eyes"}

role_listed if {
	input.role in row.requester_roles
	only := object.get(safeguards.role_only, [input.purpose, input.role], safeguards.operations)
	input.operation in only
}

categories_listed if {
	is_array(input.categories)
	count(input.categories) > 0
	every category in input.categories {
		category in row.data_categories
	}
}

keys_listed if {
	input.operation == "aggregate"
	input.match_keys == []
}

keys_listed if {
	input.operation in person_level
	count(row.match_keys) == 0
	input.match_keys == []
}

keys_listed if {
	input.operation in person_level
	is_array(input.match_keys)
	count(input.match_keys) > 0
	every match_key in input.match_keys {
		match_key in row.match_keys
	}
}

statistic_listed if {
	input.operation in person_level
	input.statistic == ""
}

statistic_listed if {
	input.operation == "aggregate"
	input.statistic in row.statistics
}

# A row that reads what was released already takes every statistic.
statistic_listed if {
	input.operation == "aggregate"
	"S-*" in row.statistics
	is_string(input.statistic)
	startswith(input.statistic, "S-")
}

# The basis is the agreement's; an instrument that binds other states only is none.
basis_stands if {
	is_string(input.legal_basis)
	input.legal_basis != ""
	not catalogue.models[input.legal_basis]
}

approved if {
	required := safeguards.approvals[row.operations[input.operation]]
	required <= input.approvals
	input.approvals <= 100
}

destination_registered if {
	input.guard.destination.kind in safeguards.destinations
	is_string(input.guard.destination.basis)
	input.guard.destination.basis != ""
	not catalogue.models[input.guard.destination.basis]
	later(input.guard.destination.until_ns)
	later(input.guard.destination.review_ns)
}

# What this agency asked about the person for in the last day: the same group, or a purpose change on record.
purpose_bound if {
	is_array(input.guard.used)
	every code in input.guard.used {
		catalogue.purposes[code].group == row.group
	}
}

purpose_bound if {
	is_array(input.guard.used)
	input.guard.purpose_change == true
	every code in input.guard.used {
		catalogue.purposes[code]
	}
}

later(moment) if {
	is_number(moment)
	moment > input.time_ns
}

# By the person or the record

# A state that the person may have fled from; for papers that name none it is every state but the document's issuer.
could_be_origin if input.guard.destination.state in input.guard.origins

could_be_origin if {
	input.guard.any_origin == true
	input.guard.destination.state != input.guard.issuer
}

origins_known if {
	is_string(input.guard.destination.state)
	input.guard.destination.state != ""
	is_array(input.guard.origins)
	is_boolean(input.guard.any_origin)
	is_string(input.guard.issuer)
}

# The tags are those in force and those of the record's history.
unprotected if {
	input.guard.protected == false
	is_array(input.guard.tags)
	count(input.guard.tags) == 0
	input.guard.claim in {"none", "finally_refused", "unknown"}
}

# A claim that was refused for good, under the return profile: two persons, travel papers only.
unprotected if {
	input.guard.protected == false
	input.purpose == "READ.IDENT"
	input.guard.claim == "finally_refused"
	input.guard.return_profile == true
	is_array(input.guard.tags)
	every tag in input.guard.tags {
		tag == "ASYLUM_SEEKER"
	}
}

away_from_origin if {
	origins_known
	not could_be_origin
}

away_from_origin if {
	origins_known
	unprotected
}

# Without a known claim, nothing opens a case with a possible origin before a protection officer has looked.
screened if input.operation in {"status", "hit"}

screened if {
	origins_known
	not could_be_origin
}

screened if input.guard.screened == true

provenance_permits if input.guard.destination.kind in safeguards.provenance[input.guard.provenance]

# What another state told goes no further than that state allowed.
originator_permits if {
	is_string(input.guard.originator)
	input.guard.originator != ""
	input.guard.originator == input.guard.owner
}

originator_permits if {
	is_string(input.guard.originator)
	input.guard.originator != ""
	is_array(input.guard.onward)
	input.guard.destination.state in input.guard.onward
}

of_age if input.guard.age == "adult"

of_age if input.purpose in safeguards.child_purposes

# An age that is not known is a child's.
of_age if {
	input.guard.age in {"child", "unknown"}
	input.purpose == "READ.IDENT"
	input.guard.best_interest == true
}

enforcing if {
	is_string(input.purpose)
	some prefix in safeguards.enforcement
	startswith(input.purpose, prefix)
}

outside_firewall if {
	is_array(input.guard.tags)
	not enforcing
}

outside_firewall if {
	is_array(input.guard.tags)
	every tag in input.guard.tags {
		is_string(tag)
		not tag in safeguards.firewall_tags
	}
}

record_stands if input.guard.record == "active"

# Safeguards

row_safeguards := object.get(safeguards.rows, [input.purpose, input.operation], [])

held(safeguard) if {
	every condition in safeguard.conditions {
		meets(condition)
	}
}

meets(condition) if {
	condition.form == "is"
	input.facts[condition.fact] == condition.value
}

# Both bounds: in Rego's order every string is more than every number.
meets(condition) if {
	condition.form == "at_most"
	0 <= input.facts[condition.fact]
	input.facts[condition.fact] <= condition.value
}

meets(condition) if {
	condition.form == "at_least"
	is_number(input.facts[condition.fact])
	input.facts[condition.fact] >= condition.value
}

meets(condition) if {
	condition.form == "one_of"
	input.facts[condition.fact] in condition.value
}

meets(condition) if {
	condition.form == "not_one_of"
	is_string(input.facts[condition.fact])
	input.facts[condition.fact] != ""
	not input.facts[condition.fact] in condition.value
}

meets(condition) if {
	condition.form == "all_in"
	is_array(input.facts[condition.fact])
	count(input.facts[condition.fact]) > 0
	every word in input.facts[condition.fact] {
		word in condition.value
	}
}

meets(condition) if {
	condition.form == "none_in"
	is_array(input.facts[condition.fact])
	every word in input.facts[condition.fact] {
		is_string(word)
		not word in condition.value
	}
}

meets(condition) if {
	condition.form == "text"
	is_string(input.facts[condition.fact])
	input.facts[condition.fact] != ""
}

meets(condition) if {
	condition.form == "after_now"
	later(input.facts[condition.fact])
}

meets(condition) if {
	condition.form == "operation_in"
	input.operation in condition.value
}

# Reasons, asked for only after a no

# METADATA
# title: The question is not of the form that these rules read
# custom:
#   depends_on: request
reasons contains "malformed" if not well_formed

# METADATA
# title: The purpose is not in the catalogue
# custom:
#   depends_on: request
reasons contains "purpose_unknown" if not row

# METADATA
# title: The row does not permit the operation
# custom:
#   depends_on: request
reasons contains "operation" if {
	row
	not operation_permitted
}

# METADATA
# title: The row does not list the role for the operation
# custom:
#   depends_on: request
reasons contains "role" if {
	row
	not role_listed
}

# METADATA
# title: A data category that the row does not list, or none
# custom:
#   depends_on: request
reasons contains "catalogue/category" if {
	row
	not categories_listed
}

# METADATA
# title: A match key that the row does not list, or none where one is due
# custom:
#   depends_on: request
reasons contains "key_type" if {
	row
	not keys_listed
}

# METADATA
# title: A statistic that the row does not list
# custom:
#   depends_on: request
reasons contains "catalogue/statistic" if {
	row
	not statistic_listed
}

# METADATA
# title: No basis, or a model that binds other states only
# custom:
#   depends_on: request
reasons contains "legal_basis" if {
	row
	not basis_stands
}

# METADATA
# title: Fewer persons have approved than the row asks for
# custom:
#   depends_on: request
reasons contains "catalogue/approval" if {
	operation_permitted
	not approved
}

# METADATA
# title: The recipient is not in the register, or its basis has lapsed or is due for review
# custom:
#   depends_on: request
reasons contains "guard/destination" if {
	input.operation in person_level
	not destination_registered
}

# METADATA
# title: The agency asked about the person for another purpose within a day
# custom:
#   depends_on: request
reasons contains "guard/purpose_change" if {
	input.operation in person_level
	not purpose_bound
}

# METADATA
# title: A safeguard of the row that depends on the request does not hold
# custom:
#   depends_on: request
reasons contains safeguard.code if {
	some safeguard in row_safeguards
	safeguard.depends_on == "request"
	not held(safeguard)
}

# METADATA
# title: A safeguard of the row that depends on the person or the record does not hold
# custom:
#   depends_on: person
withheld contains safeguard.code if {
	some safeguard in row_safeguards
	safeguard.depends_on == "person"
	not held(safeguard)
}

# METADATA
# title: The recipient may be the state that the person fled from
# custom:
#   depends_on: person
withheld contains "guard/origin" if {
	input.operation in person_level
	not away_from_origin
}

# METADATA
# title: No protection officer has looked before a case opens with a possible origin
# custom:
#   depends_on: person
withheld contains "guard/screening" if {
	input.operation in person_level
	not screened
}

# METADATA
# title: Information of this source does not go to such a recipient
# custom:
#   depends_on: person
withheld contains "guard/provenance" if {
	input.operation in person_level
	not provenance_permits
}

# METADATA
# title: The state that the information comes from did not allow it to go on
# custom:
#   depends_on: person
withheld contains "guard/originator" if {
	input.operation in person_level
	not originator_permits
}

# METADATA
# title: The person is a child, or may be one
# custom:
#   depends_on: person
withheld contains "guard/child" if {
	input.operation in person_level
	not of_age
}

# METADATA
# title: The record is one of care, and the purpose one of enforcement
# custom:
#   depends_on: person
withheld contains "guard/firewall" if {
	input.operation in person_level
	not outside_firewall
}

# METADATA
# title: The record is contested, withdrawn, past its retention, or its owner declines
# custom:
#   depends_on: person
withheld contains "guard/record" if {
	input.operation in person_level
	not record_stands
}
