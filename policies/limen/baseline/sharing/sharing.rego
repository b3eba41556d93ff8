# METADATA
# title: The regional baseline
# description: >-
#   What every member holds to, whatever two states agree. Default deny; a question is permitted only if every condition
#   is met, so that a missing or mistyped field makes the condition undefined and the answer no. The row that a question
#   is compared with is made of the purpose catalogue and the region's limits when the bundle is built.
# scope: package
# schemas:
#   - input: schema.question
package limen.baseline.sharing

import data.limen.baseline.catalogue
import data.limen.baseline.prepared

default decision := {"schema": "limen.decision/1", "allow": false}

# METADATA
# title: The baseline's answer
# description: The row's grant, or no.
# entrypoint: true
decision := row.grant if {
	input.schema == "limen.question/1"

	# One look-up with a default costs a tenth of a chain of brackets in the embedded engine.
	row := object.get(prepared, [input.stage, input.purpose], {})
	row.operations[input.operation]
	row.lists[input.list]
	row.roles[input.role]
	input.class_size in row.classes
	input.has_case == row.has_case

	# Both bounds: in Rego's order every string is more than every number.
	row.signers_min <= input.signers
	input.signers <= row.signers_max

	is_array(input.key_types)
	count(input.key_types) >= row.key_types_min
	every key_type in input.key_types {
		row.key_types[key_type]
	}

	# A basis where one is due, and never a model that binds other states only.
	is_string(input.legal_basis)
	has_basis := input.legal_basis != ""
	has_basis == row.has_basis
	not catalogue.models[input.legal_basis]

	is_string(input.agency)
	is_string(input.asker)
	is_string(input.owner)
	at_home := input.asker == input.owner
	at_home in row.at_home

	# Only the issuing state may enter or change a document's record.
	issuers := {"none": [], "owner": [input.owner]}
	input.issuers == issuers[row.issuers]

	is_number(input.time_ns)
}

# The rest is asked only after a no. Each condition is a rule of its own: `not` before a reference that is itself made of an
# absent field means different things to the two engines, `not` before a rule does not.

row := found if {
	found := object.get(prepared, [input.stage, input.purpose], null)
	found != null
}

well_formed if {
	input.schema == "limen.question/1"
	is_string(input.operation)
	is_string(input.legal_basis)
	is_string(input.agency)
	is_string(input.asker)
	is_string(input.owner)
	is_array(input.key_types)
	is_array(input.issuers)
	is_boolean(input.has_case)
	is_number(input.class_size)
	is_number(input.signers)
	is_number(input.time_ns)
}

stage_known if prepared[input.stage]

purpose_known if catalogue.purposes[input.purpose]

operation_listed if row.operations[input.operation]

list_reached if row.lists[input.list]

role_listed if row.roles[input.role]

class_padded if input.class_size in row.classes

case_given if input.has_case == true

signed if {
	row.signers_min <= input.signers
	input.signers <= row.signers_max
}

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
# title: The purpose is not in the catalogue
# custom:
#   depends_on: request
reasons contains "purpose_unknown" if not purpose_known

# METADATA
# title: The purpose is in the catalogue but not offered
# custom:
#   depends_on: request
reasons contains "purpose_not_offered" if {
	purpose_known
	stage_known
	not row
}

# METADATA
# title: The purpose does not permit the operation
# custom:
#   depends_on: request
reasons contains "operation" if {
	row
	not operation_listed
}

# METADATA
# title: The purpose does not reach this list
# custom:
#   depends_on: request
reasons contains "list" if {
	row
	not list_reached
}

# METADATA
# title: The role may not do this under the purpose
# custom:
#   depends_on: request
reasons contains "role" if {
	row
	not role_listed
}

# METADATA
# title: The batch does not have a permitted size
# custom:
#   depends_on: request
reasons contains "class_size" if {
	row
	not class_padded
}

# METADATA
# title: A case, shift or decision reference is required
# custom:
#   depends_on: request
reasons contains "case_required" if {
	row.has_case
	not case_given
}

# METADATA
# title: Two different officers must sign
# custom:
#   depends_on: request
reasons contains "signers" if {
	row
	not signed
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

# METADATA
# title: A match key was asked that is not granted for the purpose
# custom:
#   depends_on: request
reasons contains "key_type" if {
	is_array(input.key_types)
	count(input.key_types) < row.key_types_min
}

# METADATA
# title: The legal basis is not one that the agreement or mandate names
# custom:
#   depends_on: request
reasons contains "legal_basis" if {
	row.has_basis
	input.legal_basis == ""
}

# METADATA
# title: The legal basis is not one that the agreement or mandate names
# custom:
#   depends_on: request
reasons contains "legal_basis" if catalogue.models[input.legal_basis]

# METADATA
# title: The question was put to a state that does not hold the list
# custom:
#   depends_on: request
reasons contains "not_the_owner" if {
	at_home := input.asker == input.owner
	row
	not at_home in row.at_home
}

# METADATA
# title: Only the state that issued a document may list it
# custom:
#   depends_on: request
reasons contains "issuer" if {
	row.issuers == "owner"
	input.issuers != [input.owner]
}
