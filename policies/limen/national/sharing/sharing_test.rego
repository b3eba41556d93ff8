# METADATA
# title: Tests of the national policy
# description: What an agreement and a mandate permit, with the example agreement of two states that do not exist.
# scope: package
package limen.national.sharing_test

import data.limen.examples.prepared
import data.limen.examples.questions
import data.limen.national.sharing

permitted(question) if {
	sharing.decision.allow with input as question
		with data.limen.national.prepared as prepared
}

refused(question, reason) if {
	answer := sharing.decision with input as question
		with data.limen.national.prepared as prepared
	answer == {"schema": "limen.decision/1", "allow": false}
	given := sharing.reasons with input as question
		with data.limen.national.prepared as prepared
	reason in given
}

bent(question, change) := object.union(question, change)

test_every_example_is_permitted if {
	every question in questions.all {
		permitted(question)
	}
}

test_without_agreements_nothing_is_permitted if {
	every question in questions.all {
		answer := sharing.decision with input as question
			with data.limen.national.prepared as {}
		answer == {"schema": "limen.decision/1", "allow": false}
	}
}

test_a_third_state_has_no_agreement if refused(bent(questions.watch_ask, {"owner": "XXO"}), "no_agreement")

test_the_other_direction_is_not_ours_to_decide if {
	refused(bent(questions.watch_ask, {"asker": "XOM", "owner": "UTO"}), "no_agreement")
	refused(bent(questions.watch_answer, {"asker": "UTO", "owner": "XOM"}), "no_agreement")
}

test_an_agreement_begins_and_ends if {
	permitted(bent(questions.watch_ask, {"time_ns": 1}))
	permitted(bent(questions.watch_ask, {"time_ns": 3399999999999999999}))
	refused(bent(questions.watch_ask, {"time_ns": 0}), "agreement_not_in_force")
	refused(bent(questions.watch_ask, {"time_ns": 3400000000000000000}), "agreement_not_in_force")
}

test_time_that_is_no_number_is_refused if {
	every time_ns in [null, "", "1700000000000000000", true, [], {}] {
		refused(bent(questions.watch_ask, {"time_ns": time_ns}), "agreement_not_in_force")
	}
}

test_the_basis_is_the_agreements if {
	permitted(bent(questions.watch_ask, {"legal_basis": "UNSCR 2178, 2396"}))
	refused(bent(questions.watch_ask, {"legal_basis": "another act"}), "legal_basis")
	refused(bent(questions.watch_publish, {"legal_basis": "bilateral agreement"}), "legal_basis")
}

test_the_agency_is_the_askers if {
	refused(bent(questions.watch_ask, {"agency": "OMB"}), "agency")
	refused(bent(questions.watch_answer, {"agency": "UBG"}), "agency")
	refused(bent(questions.watch_publish, {"agency": "OMB"}), "agency")
}

test_the_role_is_the_agreements if refused(bent(questions.watch_answer, {"role": "visa.officer"}), "role")

test_the_list_is_the_purposes if {
	refused(bent(questions.watch_answer, {"list": "DOCUMENTS"}), "list")
	refused(bent(questions.status_answer, {"list": "PERSONS"}), "list")
}

test_an_answer_takes_no_key_that_was_not_granted if {
	narrow := json.patch(prepared, [{
		"op": "replace",
		"path": "/answer/UTO/XOM/SEC.WATCH/key_types",
		"value": {"doc/1": true},
	}])
	answer := sharing.decision with input as questions.watch_answer
		with data.limen.national.prepared as narrow
	answer.allow == false
}

test_listing_needs_a_mandate if {
	mandated := json.patch(prepared, [{"op": "remove", "path": "/list/UTO"}])
	given := sharing.reasons with input as questions.watch_list
		with data.limen.national.prepared as mandated
	"listing_mandate" in given
	refused(bent(questions.watch_list, {"agency": "OMB"}), "agency")
	refused(bent(questions.watch_list, {"legal_basis": "another act"}), "legal_basis")
}

test_a_mandate_lets_our_own_analysts_ask_our_own_node if {
	permitted(questions.risk_home)
	refused(bent(questions.risk_home, {"agency": "OMB"}), "agency")
	refused(bent(questions.risk_home, {"legal_basis": "another act"}), "legal_basis")
	refused(bent(questions.risk_home, {"role": "analyst.regional"}), "role")
	refused(bent(questions.risk_home, {"asker": "XOM"}), "agency")
	every stage in ["ask", "publish"] {
		refused(bent(questions.risk_home, {"stage": stage}), "no_agreement")
	}
	mandated := json.patch(prepared, [{"op": "remove", "path": "/answer/UTO/UTO"}])
	given := sharing.reasons with input as questions.risk_home
		with data.limen.national.prepared as mandated
	given == {"no_agreement"}
}

test_only_our_own_documents_are_listed if {
	refused(bent(questions.status_list, {"issuers": ["XOM"]}), "issuer")
	refused(bent(questions.watch_list, {"issuers": ["UTO"]}), "issuer")
}

test_a_form_that_is_not_known_says_so if {
	refused(bent(questions.watch_ask, {"schema": "limen.question/2"}), "malformed")
	refused(bent(questions.watch_ask, {"stage": "disclose"}), "stage")
	refused(bent(questions.watch_ask, {"operation": "disclose"}), "operation")
	refused(bent(questions.status_answer, {"key_types": ["name_year/1"]}), "key_type")
}
