# METADATA
# title: Tests of the purpose catalogue
# description: Every golden decision of the thirty purposes, and that what is not known is denied.
# scope: package
package limen.baseline.purposes_test

import data.limen.baseline.purposes
import data.limen.examples.purposes as examples

as_written(case) if {
	answer := purposes.decision with input as case.question
	answer == case.decision
}

explained(case) if case.decision.allow

explained(case) if {
	spoken := purposes.reasons with input as case.question
	spoken == {code | some code in case.reasons}
	kept := purposes.withheld with input as case.question
	kept == {code | some code in case.withheld}
}

test_every_golden_decision_comes_out_as_written if {
	count(examples.cases) >= 300
	every case in examples.cases {
		as_written(case)
	}
}

test_every_no_has_its_reasons if {
	every case in examples.cases {
		explained(case)
	}
}

test_nothing_known_is_a_no if {
	answer := purposes.decision with input as {}
	answer == {"schema": "limen.purpose-decision/1", "allow": false, "needs": "deny", "face": "spoken"}
}
