# METADATA
# title: Tests of the regional baseline
# description: What is permitted at each stage, and each safeguard of the catalogue's rows with what breaks it.
# scope: package
package limen.baseline.sharing_test

import data.limen.baseline.catalogue
import data.limen.baseline.sharing
import data.limen.examples.questions

permitted(question) if sharing.decision.allow with input as question

refused(question, reason) if {
	sharing.decision == {"schema": "limen.decision/1", "allow": false} with input as question
	reason in sharing.reasons with input as question
}

bent(question, change) := object.union(question, change)

obliged(question, obligation) if {
	answer := sharing.decision with input as question
	obligation in answer.obligations
}

test_every_example_is_permitted if {
	every question in questions.all {
		permitted(question)
	}
}

test_an_empty_question_is_refused if refused({}, "malformed")

# Only what is offered, to whom the catalogue names.

test_no_other_purpose_is_permitted if {
	every code, _ in catalogue.purposes {
		not outside_offer_permitted(code)
	}
}

outside_offer_permitted(code) if {
	not code in {"SEC.WATCH", "DOC.STATUS", "API.PRESCREEN", "MISS.CHILD", "READ.IDENT", "RISK.IBC"}
	some question in questions.all
	permitted(bent(question, {"purpose": code}))
}

test_a_purpose_that_is_not_offered_says_so if refused(bent(questions.watch_ask, {"purpose": "FAM.LINK"}), "purpose_not_offered")

test_an_unknown_purpose_says_so if refused(bent(questions.watch_ask, {"purpose": "SEC.OTHER"}), "purpose_unknown")

test_a_listed_role_asks if {
	every role in ["border.frontline", "border.secondline", "desk.national"] {
		permitted(bent(questions.watch_ask, {"role": role}))
	}
	every role in ["border.frontline", "border.secondline", "visa.officer"] {
		permitted(bent(questions.status_ask, {"role": role}))
	}
}

test_every_other_role_is_refused if {
	every role in ["visa.officer", "targeting.centre", "child.protection", "list.officer", "supervisor", "operator", ""] {
		refused(bent(questions.watch_ask, {"role": role}), "role")
	}
	refused(bent(questions.status_ask, {"role": "desk.national"}), "role")
}

test_an_unlisted_operation_is_refused if {
	every operation in ["status", "verify", "disclose", "notify", "aggregate", "enter", ""] {
		refused(bent(questions.watch_answer, {"operation": operation}), "operation")
	}
}

test_the_state_of_a_document_is_never_a_hit if refused(bent(questions.status_answer, {"operation": "hit"}), "operation")

test_keys_beyond_the_catalogue_are_refused if {
	refused(bent(questions.status_ask, {"key_types": ["doc/1", "name_year/1"]}), "key_type")
	refused(bent(questions.watch_ask, {"key_types": ["met2_year/1"]}), "key_type")
	refused(bent(questions.watch_ask, {"key_types": []}), "key_type")
}

test_only_padded_sizes_are_permitted if {
	every size in [8, 32, 320, 1280] {
		permitted(bent(questions.watch_answer, {"class_size": size}))
	}
	every size in [0, 1, 9, 1281, -8] {
		refused(bent(questions.watch_answer, {"class_size": size}), "class_size")
	}
}

test_a_reference_is_needed if refused(bent(questions.watch_ask, {"has_case": false}), "case_required")

test_a_model_is_no_basis if {
	refused(bent(questions.watch_ask, {"legal_basis": "SIS Reg. 2018/1861 art.24-25 and 2018/1862 art.26 (as model)"}), "legal_basis")
	refused(bent(questions.watch_ask, {"legal_basis": ""}), "legal_basis")
}

test_a_state_does_not_ask_itself if refused(bent(questions.watch_ask, {"owner": "UTO"}), "not_the_owner")

# Flights, missing children, returns and statistics, safeguard by safeguard.

test_the_targeting_centre_asks_about_a_flight if {
	permitted(questions.flight_ask)
	obliged(questions.flight_ask, "one_flight")
	obliged(questions.flight_ask, "deleted_after_flight")
	answer := sharing.decision with input as questions.flight_ask
	answer.retention == "24h"
	refused(bent(questions.flight_ask, {"role": "border.frontline"}), "role")
	refused(bent(questions.flight_ask, {"key_types": ["met2_year/1"]}), "key_type")
}

test_only_a_missing_child_is_asked_about_by_sound_and_year if {
	permitted(bent(questions.child_ask, {"key_types": ["met2_year/1"]}))
	every question in [questions.watch_ask, questions.status_ask, questions.flight_ask, questions.return_ask] {
		refused(bent(question, {"key_types": ["met2_year/1"]}), "key_type")
	}
}

test_a_missing_child_is_never_detained if {
	obliged(questions.child_ask, "never_detain")
	obliged(questions.child_ask, "child_recipient")
	obliged(questions.child_ask, "answer_in_one_hour")
	answer := sharing.decision with input as questions.child_answer
	answer.kinds == ["MISSING_CHILD"]
	refused(bent(questions.child_ask, {"role": "desk.national"}), "role")
}

test_a_return_is_asked_by_two_persons if {
	permitted(questions.return_ask)
	every signers in [0, 1, "2", null] {
		refused(bent(questions.return_ask, {"signers": signers}), "signers")
	}
	obliged(questions.return_ask, "no_open_claim")
	obliged(questions.return_ask, "best_interest")
	obliged(questions.return_ask, "purpose_bound")
	obliged(questions.return_ask, "never_false")
	refused(bent(questions.return_ask, {"operation": "hit"}), "operation")
	answer := sharing.decision with input as questions.return_answer
	answer.kinds == ["NATIONAL"]
}

test_risk_analysis_gets_numbers_only if {
	permitted(questions.risk_answer)
	obliged(questions.risk_answer, "aggregate_only")
	refused(bent(questions.risk_answer, {"operation": "hit"}), "operation")
	refused(bent(questions.risk_answer, {"list": "PERSONS"}), "list")
	refused(bent(questions.risk_answer, {"key_types": ["doc/1"]}), "key_type")
	refused(bent(questions.risk_answer, {"role": "border.frontline"}), "role")
}

test_a_state_asks_itself_for_its_own_statistics_only if {
	permitted(questions.risk_home)
	refused(bent(questions.risk_ask, {"owner": "UTO"}), "not_the_owner")
	refused(bent(questions.risk_home, {"operation": "hit"}), "operation")
	every question in [questions.watch_answer, questions.status_answer, questions.flight_answer, questions.child_answer, questions.return_answer] {
		refused(bent(question, {"asker": "UTO", "owner": "UTO"}), "not_the_owner")
	}
}

# SEC.WATCH, safeguard by safeguard. What an obligation binds the gateway to is tested where it is carried out.

test_a_hit_is_confirmed_by_a_human if obliged(questions.watch_ask, "human_confirmation")

test_protection_is_asked_before_the_check if obliged(questions.watch_ask, "protection_before_check")

test_an_expired_alert_never_answers if {
	every question in [questions.watch_ask, questions.watch_answer, questions.watch_publish] {
		obliged(question, "expired_never_answers")
	}
}

test_access_goes_through_the_owner if obliged(questions.watch_ask, "redress_through_owner")

# DOC.STATUS, safeguard by safeguard.

test_the_issuing_state_lists_its_documents if permitted(questions.status_list)

test_no_other_state_lists_them if {
	refused(bent(questions.status_list, {"issuers": ["XOM"]}), "issuer")
	refused(bent(questions.status_list, {"issuers": ["UTO", "XOM"]}), "issuer")
	refused(bent(questions.status_list, {"issuers": []}), "issuer")
}

test_an_answer_has_no_holder if {
	obliged(questions.status_answer, "no_holder_data")
	answer := sharing.decision with input as questions.status_answer
	answer.key_types == ["doc/1"]
	answer.kinds == ["LOST_STOLEN", "REVOKED"]
}

test_guessing_is_charged if {
	obliged(questions.status_answer, "charge")
	answer := sharing.decision with input as questions.status_answer
	answer.slots_per_day > 0
}

test_unknown_is_never_valid if obliged(questions.status_ask, "unknown_never_valid")

# Listing is an act.

test_two_persons_list if {
	obliged(questions.watch_list, "two_persons")
	permitted(bent(questions.watch_list, {"signers": 3}))
	every signers in [0, 1, -2, "2", null, true] {
		refused(bent(questions.watch_list, {"signers": signers}), "signers")
	}
}

test_a_list_officer_lists if refused(bent(questions.watch_list, {"role": "border.frontline"}), "role")

test_a_decision_is_named if refused(bent(questions.watch_list, {"has_case": false}), "case_required")

test_another_states_list_is_not_changed if refused(bent(questions.watch_list, {"owner": "XOM"}), "not_the_owner")

test_only_acts_of_listing_change_a_list if {
	every operation in ["enter", "alter", "extend", "withdraw"] {
		permitted(bent(questions.watch_list, {"operation": operation}))
	}
	refused(bent(questions.watch_list, {"operation": "hit"}), "operation")
}

test_a_stage_that_is_not_known_says_so if refused(bent(questions.watch_ask, {"stage": "disclose"}), "stage")
