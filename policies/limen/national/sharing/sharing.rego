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

# The rest is asked only after a no. Each condition is a rule of its own: `not` before a reference that is itself made of an
# absent field means different things to the two engines, `not` before a rule does not.

row := found if {
	found := object.get(prepared, [input.stage, input.owner, input.asker, input.purpose], null)
	found != null
}

well_formed if input.schema == "limen.question/1"

stage_known if prepared[input.stage]

in_force if {
	row.from_ns <= input.time_ns
	input.time_ns < row.until_ns
}

operation_agreed if row.operations[input.operation]

basis_agreed if row.legal_bases[input.legal_basis]

agency_named if row.agencies[input.agency]

role_agreed if row.roles[input.role]

list_agreed if row.lists[input.list]

issuers_fit if input.issuers == row.issuers

# METADATA
# title: The question is not of the form the rules read
# custom:
#   depends_on: request
reasons contains "malformed" if not well_formed

# METADATA
# title: Nothing of this kind is decided here
# custom:
#   depends_on: request
reasons contains "stage" if not stage_known

# METADATA
# title: No agreement between the two states covers the purpose
# custom:
#   depends_on: request
reasons contains "no_agreement" if {
	input.stage != "list"
	not row
}

# METADATA
# title: No mandate of this state permits the agency to change the list on this legal basis
# custom:
#   depends_on: request
reasons contains "listing_mandate" if {
	input.stage == "list"
	not row
}

# METADATA
# title: The agreement or mandate has not begun or has ended
# custom:
#   depends_on: request
reasons contains "agreement_not_in_force" if {
	row
	not in_force
}

# METADATA
# title: The purpose does not permit the operation
# custom:
#   depends_on: request
reasons contains "operation" if {
	row
	not operation_agreed
}

# METADATA
# title: The legal basis is not one that the agreement or mandate names
# custom:
#   depends_on: request
reasons contains "legal_basis" if {
	row
	not basis_agreed
}

# METADATA
# title: The agency is not named in the agreement or mandate
# custom:
#   depends_on: request
reasons contains "agency" if {
	row
	not agency_named
}

# METADATA
# title: The role may not do this under the purpose
# custom:
#   depends_on: request
reasons contains "role" if {
	row
	not role_agreed
}

# METADATA
# title: The purpose does not reach this list
# custom:
#   depends_on: request
reasons contains "list" if {
	row
	not list_agreed
}

# METADATA
# title: Only the state that issued a document may list it
# custom:
#   depends_on: request
reasons contains "issuer" if {
	row
	not issuers_fit
}

# METADATA
# title: A match key was asked that is not granted for the purpose
# custom:
#   depends_on: request
reasons contains "key_type" if {
	row
	is_array(input.key_types)
	some key_type in input.key_types
	not row.key_types[key_type]
}
