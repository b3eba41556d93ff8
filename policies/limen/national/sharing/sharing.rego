# METADATA
# title: The national policy
# description: >-
#   What this state's agreements and mandates permit. Default deny; a question is permitted only if every condition is
#   met. The row that a question is compared with is made of the agreements in force when the bundle is built; a state
#   that wants more conditions adds them to `decision`, and can never widen the regional baseline by it.
# scope: package
# schemas:
#   - input: schema.question
package limen.national.sharing

import data.limen.national.prepared

default decision := {"schema": "limen.decision/1", "allow": false}

# METADATA
# title: The national answer
# description: The row's grant, or no.
# entrypoint: true
decision := row.grant if {
	input.schema == "limen.question/1"

	# One look-up with a default costs a tenth of a chain of brackets in the embedded engine.
	row := object.get(prepared, [input.stage, input.owner, input.asker, input.purpose], {})

	# Both bounds: in Rego's order every string is more than every number.
	row.from_ns <= input.time_ns
	input.time_ns < row.until_ns
	row.operations[input.operation]
	row.legal_bases[input.legal_basis]
	row.agencies[input.agency]
	row.roles[input.role]
	row.lists[input.list]
	input.issuers == row.issuers
	is_array(input.key_types)
	every key_type in input.key_types {
		row.key_types[key_type]
	}
}

# The rest is asked only after a no.

row := prepared[input.stage][input.owner][input.asker][input.purpose]

in_force if {
	row.from_ns <= input.time_ns
	input.time_ns < row.until_ns
}

reasons contains "malformed" if not input.schema == "limen.question/1"

reasons contains "stage" if not prepared[input.stage]

reasons contains "no_agreement" if {
	input.stage != "list"
	not row
}

reasons contains "listing_mandate" if {
	input.stage == "list"
	not row
}

reasons contains "agreement_not_in_force" if {
	row
	not in_force
}

reasons contains "operation" if {
	row
	not row.operations[input.operation]
}

reasons contains "legal_basis" if {
	row
	not row.legal_bases[input.legal_basis]
}

reasons contains "agency" if {
	row
	not row.agencies[input.agency]
}

reasons contains "role" if {
	row
	not row.roles[input.role]
}

reasons contains "list" if {
	row
	not row.lists[input.list]
}

reasons contains "issuer" if {
	row
	input.issuers != row.issuers
}

reasons contains "key_type" if {
	row
	some key_type in input.key_types
	not row.key_types[key_type]
}
